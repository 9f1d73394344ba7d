/** The package: two entries, nothing bundled in. The app has a config of its own, app/vite.config.ts. */

import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2022",
    minify: false,
    lib: { entry: { index: "src/index.ts", react: "src/react.ts" }, formats: ["es"] },
    rolldownOptions: { external: [/^react($|\/)/] },
  },
});
