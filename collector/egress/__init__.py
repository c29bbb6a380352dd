"""Where the daemon may send what users ask it to send: the guard of all connections that it opens for them."""
