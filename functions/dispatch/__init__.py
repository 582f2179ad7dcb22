"""The dispatch function: finds what is due, stranded or never sent, and sends it to the queues. Once a minute."""
