"""Gas: what is calculated of readings and deposits, and what people and programs do with it."""
