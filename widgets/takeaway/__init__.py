"""What a person takes away: code and files."""
