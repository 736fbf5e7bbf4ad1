"""What is stored of whom, for how long, how it is given out, and how it is erased."""
