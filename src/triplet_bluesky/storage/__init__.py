"""Where documents go and come back from: the embedded Tiled server and its clients.

Importing the package imports none of its modules: the server starts without the
clients, and the clients without the server, and each takes seconds.
"""
