"""What a running service withstands: load, kills, requests that nobody foresaw."""
