"""For what runs the server: what it counts, its log, and copies of all that it keeps."""
