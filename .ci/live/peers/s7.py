# needs: python-snap7==3.3.0
"""python-snap7 with its own server: data blocks and markers."""

import ctypes
import logging
import struct
import sys
import time

import snap7
from snap7.server import Server
from tap import Tap, free_port


def main(folder):
    logging.disable(logging.ERROR)
    port = free_port()
    server = Server()
    block = (ctypes.c_uint8 * 256)()
    marks = (ctypes.c_uint8 * 256)()
    area = snap7.SrvArea if hasattr(snap7, "SrvArea") else snap7.type.SrvArea
    server.register_area(area.DB, 1, block)
    server.register_area(area.MK, 0, marks)
    block[0:8] = struct.pack(">fhH", 21.5, -7, 40000)
    server.start(tcp_port=port)
    tap = Tap(102)
    client = snap7.client.Client()
    client.connect("127.0.0.1", 0, 1, tap.tcp(port))

    def raw(data):
        return "raw:" + bytes(data).hex()

    for n in range(10):
        value = client.db_read(1, n, 4 + n)
        tap.read("DB1", raw(value))
        wanted = struct.pack(">f", 20.0 + n)
        client.db_write(1, 16 + 4 * n, bytearray(wanted))
        tap.wrote("DB1", raw(wanted))
        tap.read("DB1", raw(client.db_read(1, 16 + 4 * n, 4)))
    client.mb_write(3, 2, bytearray(b"\x12\x34"))
    tap.wrote("M", raw(b"\x12\x34"))
    tap.read("M", raw(client.mb_read(3, 2)))
    client.disconnect()
    time.sleep(0.2)
    server.stop()
    tap.save(folder, "s7")


main(sys.argv[1])
