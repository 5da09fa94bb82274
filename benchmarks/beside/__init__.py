"""What a payer would put in the service's place, to be measured beside it."""
