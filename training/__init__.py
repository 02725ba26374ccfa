"""Train, evaluate, export and benchmark the models. Needs the ``train`` extra; nothing that scores or serves imports it."""
