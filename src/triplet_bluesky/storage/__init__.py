"""Where documents go and come back from: the embedded Tiled server and its clients."""
