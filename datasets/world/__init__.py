"""The fictional world behind the synthetic walls: shops, their contacts, and the words that are painted."""
