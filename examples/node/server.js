// One file answers everything: a page for people, the same as text for programs.
import { getHeapStatistics } from "node:v8";
import express from "express";

const app = express();
app.set("view engine", "ejs");
app.disable("x-powered-by");
app.use(express.static("public", { maxAge: "1h" }));

function answer(request, response, title, lines) {
  response.vary("Accept");
  if (request.accepts(["text", "html"]) === "html") {
    response.render("page", { title, lines });
    return;
  }
  const width = Math.max(...Object.keys(lines).map((name) => name.length));
  const rows = Object.entries(lines).map(([name, value]) => `${name.padEnd(width)}  ${value}\n`);
  response.type("text").send(`${title}\n${"=".repeat(title.length)}\n${rows.join("")}`);
}

app.get("/", (request, response) => {
  answer(request, response, "A droplet", {
    "You are reading": "server.js, from a tarball that brought its own startup script.",
    "Look at": "/facts, which this very file answers too.",
  });
});

app.get("/facts", (request, response) => {
  answer(request, response, "What this process sees", {
    Node: process.version,
    Started: process.argv.join(" "),
    Port: process.env.PORT ?? "unknown",
    Directory: process.cwd(),
    "Memory of the instance": process.env.MEMORY_LIMIT ?? "unknown",
    "Heap at most": `${Math.round(getHeapStatistics().heap_size_limit / 2 ** 20)} MiB`,
    Services: services().join(", ") || "none bound",
  });
});

app.use((request, response) => {
  response.status(404);
  answer(request, response, "Nothing is here", { "There is": "/ and /facts" });
});

/** Names of the bound services; their passwords stay where they are. */
function services() {
  const groups = JSON.parse(process.env.VCAP_SERVICES || "{}");
  return Object.values(groups).flatMap((group) => group.map((service) => service.name));
}

// At your desk: npm install, then npm run dev.
app.listen(process.env.PORT ?? 3000, process.env.VCAP_APP_HOST ?? "127.0.0.1");
