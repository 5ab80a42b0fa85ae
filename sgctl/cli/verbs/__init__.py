"""Commands of the form `sgctl VERB`, one module for each."""
