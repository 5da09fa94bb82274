"""Papers on models, as people read them and as programs do: training, back-test, monitor, card, decision."""
