"""Study reports: when they are made, what makes them, and how they are kept."""
