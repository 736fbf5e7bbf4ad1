"""What takes long: processes that the server starts for one task, and their other side."""
