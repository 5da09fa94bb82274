"""What keeps the service going: the runtime, the door, batches, deadlines, hot reload, the shadow."""
