"""What each call does once its body has arrived."""
