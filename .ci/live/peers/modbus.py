# needs: pymodbus==3.16.1
"""pymodbus with itself: all common functions, over twenty rounds; `modbus_rtu` runs the same with other frames."""

import asyncio
import logging
import sys
import threading
import time

from tap import Tap, free_port


def serve(port, ready, framer):
    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import ModbusTcpServer

    async def run():
        words = [(7 * n + 3) % 65536 for n in range(200)]
        device = ModbusDeviceContext(
            di=ModbusSequentialDataBlock(1, [n % 3 == 0 for n in range(200)]),
            co=ModbusSequentialDataBlock(1, [n % 2 == 0 for n in range(200)]),
            hr=ModbusSequentialDataBlock(1, words),
            ir=ModbusSequentialDataBlock(1, words[::-1]),
        )
        context = ModbusServerContext(devices={1: device}, single=False)
        server = ModbusTcpServer(context, framer=framer, address=("127.0.0.1", port))
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0.5)
        ready.set()
        await task

    asyncio.run(run())


def main(folder, family="modbus", shown_port=502, framer="SOCKET"):
    logging.getLogger("pymodbus").setLevel(logging.ERROR)  # it announces its next version
    from pymodbus import FramerType
    from pymodbus.client import ModbusTcpClient

    framer = FramerType[framer]
    port, ready = free_port(), threading.Event()
    threading.Thread(target=serve, args=(port, ready, framer), daemon=True).start()
    assert ready.wait(20), "the server did not start"
    tap = Tap(shown_port)
    client = ModbusTcpClient("127.0.0.1", port=tap.tcp(port), framer=framer)
    assert client.connect()

    def told(tell, area, address, values):
        for n, value in enumerate(values):
            tell(f"u1/{area}/{address + n}", int(value))

    for n in range(20):
        for area, call in (("hr", client.read_holding_registers), ("ir", client.read_input_registers)):
            address, count = 5 * n, 1 + 6 * n % 90
            told(tap.read, area, address, call(address, count=count, device_id=1).registers)
        for area, call in (("co", client.read_coils), ("di", client.read_discrete_inputs)):
            address, count = 3 * n, 1 + 7 * n
            told(tap.read, area, address, call(address, count=count, device_id=1).bits[:count])
        client.write_register(n, 1000 + n, device_id=1)
        told(tap.wrote, "hr", n, [1000 + n])
        client.write_registers(n, [n, 65535 - n], device_id=1)
        told(tap.wrote, "hr", n, [n, 65535 - n])
        client.write_coils(n, [True, False, True], device_id=1)
        told(tap.wrote, "co", n, [1, 0, 1])
        client.write_coil(n, n % 2 == 0, device_id=1)
        told(tap.wrote, "co", n, [n % 2 == 0])
    answer = client.readwrite_registers(read_address=0, read_count=4, write_address=2, values=[7, 8], device_id=1)
    told(tap.wrote, "hr", 2, [7, 8])
    told(tap.read, "hr", 0, answer.registers)
    client.mask_write_register(address=4, and_mask=0xF2F2, or_mask=0x2525, device_id=1)
    client.read_device_information(device_id=1)
    client.diag_query_data(b"\xab\xcd", device_id=1)
    assert client.read_holding_registers(60000, count=2, device_id=1).isError()
    client.close()
    time.sleep(0.2)
    tap.save(folder, family)


if __name__ == "__main__":
    main(sys.argv[1])
