// The story of a deal, told by a client that openapi-typescript made from docs/openapi.json.
// Run it with the service's address: node story.js http://127.0.0.1:8000
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./generated.js";

type Api = Client<paths>;
type Role = components["schemas"]["SignupRole"];
type Problem = components["schemas"]["ProblemOut"];

const baseUrl = process.argv[2] ?? "http://127.0.0.1:8000";

function bearer(token: string): Middleware {
  return {
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${token}`);
      return request;
    },
  };
}

/** The data of an answer; a problem becomes an error that says its code. */
function must<T>(answer: { data?: T; error?: Problem | unknown; response: Response }): NonNullable<T> {
  if (answer.data === undefined || answer.data === null) {
    throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

function same<T>(found: T, expected: T, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)} instead of ${String(expected)}`);
}

async function signUp(name: string, role: Role): Promise<Api> {
  const api = createClient<paths>({ baseUrl });
  const body = { email: `${name.toLowerCase()}@example.com`, password: "a long password", name, role };
  const session = must(await api.POST("/api/v1/auth/signup", { body }));
  same(session.user.role, role, "the role");
  api.use(bearer(session.token));
  return api;
}

async function upload(cleo: Api): Promise<string> {
  const script = new File(["Title: Night Train\n\nINT. TRAIN - NIGHT\n\nCoffee steams.\n"], "night-train.fountain");
  const fields = { title: "Night Train", genre: "Drama", budgetTarget: 100000, productionWindow: "Q3 2027" };
  const project = must(
    await cleo.POST("/api/v1/projects", {
      body: { file: "night-train.fountain", ...fields },
      bodySerializer: () => {
        const form = new FormData();
        form.set("file", script);
        for (const [name, value] of Object.entries(fields)) form.set(name, String(value));
        return form;
      },
    }),
  );
  same(project.budgetTarget, 100000, "the budget");
  return project.id;
}

async function deal(cleo: Api, ada: Api, slotId: string): Promise<string> {
  const key = { "Idempotency-Key": "story-1" };
  const place = { params: { path: { slot_id: slotId }, header: key }, body: { amount: 1500, objective: "Awareness" } };
  const bid = must(await ada.POST("/api/v1/slots/{slot_id}/bids", place));
  const again = await ada.POST("/api/v1/slots/{slot_id}/bids", place);
  same(must(again).id, bid.id, "the same key gives the same bid");
  same(again.response.headers.get("Idempotent-Replayed"), "true", "the replay");

  const path = { bid_id: bid.id };
  const terms = must(
    await cleo.POST("/api/v1/bids/{bid_id}/terms", { params: { path }, body: { baseVersion: bid.termsVersion, amount: 1800 } }),
  );
  const version = { termsVersion: terms.termsVersion };
  const stale = await ada.POST("/api/v1/bids/{bid_id}/approve", { params: { path }, body: { termsVersion: 1 } });
  same((stale.error as Problem).code, "terms_changed", "an approval of old terms");
  const waiting = must(await cleo.POST("/api/v1/bids/{bid_id}/approve", { params: { path }, body: version }));
  same(waiting.status, "AwaitingFinalApproval", "one approval");
  same(waiting.holdsSlot, true, "the hold");
  const accepted = must(await ada.POST("/api/v1/bids/{bid_id}/approve", { params: { path }, body: version }));
  same(accepted.status, "Accepted", "both approvals");
  return bid.id;
}

async function fulfil(cleo: Api, ada: Api, bidId: string): Promise<void> {
  const commitment = must(await ada.POST("/api/v1/bids/{bid_id}/commit", { params: { path: { bid_id: bidId } } }));
  same(commitment.status, "Active", "the commitment");
  const path = { commitment_id: commitment.id };
  const body = { evidenceUrl: "https://video.example/night-train" };
  same(must(await cleo.POST("/api/v1/commitments/{commitment_id}/deliver", { params: { path }, body })).status, "Delivered", "delivery");
  same(must(await ada.POST("/api/v1/commitments/{commitment_id}/confirm", { params: { path } })).status, "Completed", "confirmation");
}

async function story(): Promise<void> {
  const cleo = await signUp("Cleo", "Creator");
  const ada = await signUp("Ada", "Advertiser");
  const projectId = await upload(cleo);
  const slot = must(
    await cleo.POST("/api/v1/slots", {
      body: { projectId, sceneRef: "Scene 1", pricingFloor: 1000, modality: "Private Auction", visibility: "Public" },
    }),
  );
  const found = must(await ada.GET("/api/v1/slots", { params: { query: { genre: "drama", status: "Available" } } }));
  same(found[0]?.id, slot.id, "the slot that was found");
  const bidId = await deal(cleo, ada, slot.id);
  await fulfil(cleo, ada, bidId);
  const project = must(await cleo.GET("/api/v1/projects/{project_id}", { params: { path: { project_id: projectId } } }));
  same(project.committedAmount, 1800, "the committed amount");
  const sold = must(await cleo.GET("/api/v1/slots/{slot_id}", { params: { path: { slot_id: slot.id } } }));
  same(sold.status, "Completed", "the slot");
  console.log("The deal is done.");
}

await story();
