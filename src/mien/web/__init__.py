"""The web application: files become analyses, cameras and screens are read live. It holds no analysis of its own."""
