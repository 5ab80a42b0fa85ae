"""Commands of the form `sgctl NOUN VERB`, with the option names of the OpenStack client."""
