# needs: pymodbus==3.16.1
"""pymodbus with itself, serial frames over TCP on a port without a name: known by checksum and content."""

import sys

from modbus import main

main(sys.argv[1], "modbus_rtu", 4001, "RTU")
