"""Live views and fits: documents in, results out."""
