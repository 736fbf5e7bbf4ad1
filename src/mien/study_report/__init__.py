"""What a study yields: the review of how an audience's faces moved, as JSON, page, paper and tables."""
