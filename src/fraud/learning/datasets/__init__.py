"""What a model is fitted and judged on: labels as they were known, features of the day, who was looked at."""
