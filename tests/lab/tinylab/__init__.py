"""A family outside the project, as a user would add one: two classes of noise, told apart by a small dense
network.

It has all that an exact restart must survive (dropout, batch normalisation, momentum, a plateau schedule) and
faults to order.
"""
