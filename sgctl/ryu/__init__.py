"""The Ryu application and what starts it, with the repairs that Ryu needs on current Pythons."""
