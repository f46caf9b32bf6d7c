"""Rules of published systems, written anew from what is published; one system a file."""
