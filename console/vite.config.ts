// Two pages, built into what the api carries. `npm run build -- --outDir …` builds elsewhere, to compare.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    outDir: "../api/assets/web",
    emptyOutDir: true,
    // Everything comes from a file of its own: the pages' policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["console.html", "try.html"] },
  },
});
