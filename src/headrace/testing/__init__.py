"""A hostile world as a fixture: provider servers that behave and, on demand, misbehave; the laws of connectors.

`provider` is what every provider's server shares, `stripe` is Stripe's; `chaos` breaks a TCP connection between any
two; `laws` are what each connector must keep, driven by `driver`.
"""
