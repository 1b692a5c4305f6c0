"""Rules, lists, decisions: whether an order may go ahead, wait for a person, or not."""
