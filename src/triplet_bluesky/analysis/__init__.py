"""Numerical analysis of the bench's counts: numpy and scipy, arrays in, frozen results out."""
