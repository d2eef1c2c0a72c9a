"""Numerical analysis of the bench's counts: arrays in, frozen results out."""
