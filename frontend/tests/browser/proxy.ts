/** A network between browser and gateway that can be cut: plain TCP, nothing is looked at. */

import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class Network {
  private readonly sockets = new Set<Socket>();
  private up = true;

  private constructor(private readonly server: Server) {}

  static async to(port: number): Promise<Network> {
    const server = createServer();
    const network = new Network(server);
    server.on("connection", (near) => {
      if (!network.up) return near.destroy();
      const far = connect(port, "127.0.0.1");
      for (const [from, into] of [[near, far], [far, near]] as const) {
        network.sockets.add(from);
        from.on("error", () => into.destroy());
        from.on("close", () => {
          network.sockets.delete(from);
          into.destroy();
        });
        from.pipe(into);
      }
      return undefined;
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return network;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Every connection breaks off, and none comes about until `mend`. */
  cut(): void {
    this.up = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.up = true;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.server.close(done));
  }
}
