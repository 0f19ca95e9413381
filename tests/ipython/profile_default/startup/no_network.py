"""For the kernels in which notebooks are tested: whoever reaches for the network fails."""

import socket


class Refused(socket.socket):
    """A socket that connects to nothing."""

    def connect(self, address):
        raise AssertionError(f"tried to reach {address}")

    connect_ex = connect


def refused(*address, **_):
    """Fail in place of looking up or reaching an address."""
    raise AssertionError(f"tried to reach {address}")


socket.socket = Refused
socket.getaddrinfo = socket.create_connection = refused
