"""Turn a diagnosis into something to read: terminal text, JSON, a rule's page, a picture."""
