"""What runs inside a kernel's container: pid 1 and the kernels themselves. Nothing here is imported on the server."""
