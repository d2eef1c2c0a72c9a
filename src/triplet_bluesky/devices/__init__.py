"""The instruments of the bench as ophyd devices."""
