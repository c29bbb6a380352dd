import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

// The bundle lies in the repository and in the wheel: a machine with Python alone has the page.
export default defineConfig({
  // The daemon says below which path the page lies.
  base: "./",
  plugins: [preact({ devToolsEnabled: false })],
  build: {
    outDir: "bundle",
    emptyOutDir: true,
    target: "es2022",
    // Images and fonts stay files: the Content-Security-Policy knows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "^/(api|openapi.json|healthz|readyz|metrics)": "http://127.0.0.1:4319" } },
});
