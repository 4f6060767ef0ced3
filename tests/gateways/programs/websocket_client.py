# Talks to the echo behind the server that is named, with the library that people use for it.
import asyncio
import sys

import websockets

url = sys.argv[1]


async def main():
    async with websockets.connect(f"{url}/echo", max_size=None) as socket:
        for number in range(1000):
            await socket.send(f"message {number}")
            assert await socket.recv() == f"message {number}"
        # Many under way at once.
        async def send_all():
            for number in range(1000):
                await socket.send(number.to_bytes(4, "big") * 64)
        sending = asyncio.create_task(send_all())
        for number in range(1000):
            assert await socket.recv() == number.to_bytes(4, "big") * 64
        await sending
        large = bytes(range(256)) * (15 << 12)
        await socket.send(large)
        assert await socket.recv() == large
        await (await socket.ping())
        await socket.close(4000, "done")
    assert socket.close_code == 4000, socket.close_code

    async with websockets.connect(f"{url}/echo") as socket:
        await socket.send("please close")
        try:
            await socket.recv()
            assert False, "it goes on"
        except websockets.exceptions.ConnectionClosed as end:
            assert (end.rcvd.code, end.rcvd.reason) == (4001, "as you wish"), end

    try:
        await websockets.connect(f"{url}/refused")
        assert False, "it was taken"
    except websockets.exceptions.InvalidStatusCode as refusal:
        assert refusal.status_code == 403, refusal

    # Many connections at once.
    async def one(name):
        async with websockets.connect(f"{url}/echo") as socket:
            for number in range(20):
                await socket.send(f"{name} {number}")
                assert await socket.recv() == f"{name} {number}"
    await asyncio.gather(*(one(name) for name in range(30)))
    print("done")


asyncio.run(main())
