"""Analyses of files and live recordings: their rows and folders, their results, and what makes them."""
