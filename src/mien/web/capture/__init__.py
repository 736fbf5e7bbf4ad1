"""The live path: frames of open pages and of participants in, faces out, and the logs of what was seen."""
