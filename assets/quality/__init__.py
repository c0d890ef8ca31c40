"""Tables on the data itself: what came, what was kept aside, which sentences held, which cells were hidden."""
