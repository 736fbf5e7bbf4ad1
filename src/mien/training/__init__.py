"""Training, evaluation and export of expression networks. torch is imported here and nowhere else, and only by those who train."""
