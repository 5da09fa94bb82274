"""How others speak with the service: outcomes, FHIR R4, China's audit interface. Each name of theirs stays here."""
