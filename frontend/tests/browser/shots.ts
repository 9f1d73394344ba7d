import { Gateway } from "../gateway.js";
import { launch, NARROW, Tab, WIDE } from "./page.js";
const g = await Gateway.start();
const b = await launch();
for (const [n, viewport] of [["wide", WIDE], ["narrow", NARROW]] as const) for (const colorScheme of ["light", "dark"] as const) {
  const t = await Tab.open(b, g.url, { viewport, colorScheme });
  await t.page.screenshot({ path: `/tmp/shots/${n}-${colorScheme}-0.png` });
  await t.ask("How do I rate an answer?", "echo");
  await t.ended();
  await t.answer.getByRole("button", { name: "Bad answer" }).click();
  await t.page.getByRole("button", { name: "Too long" }).click();
  await t.page.waitForTimeout(300);
  await t.page.screenshot({ path: `/tmp/shots/${n}-${colorScheme}-1.png` });
  await t.page.getByLabel("Why?").getByRole("button", { name: "Send" }).click();
  await t.answer.getByRole("button", { name: "Rate in detail" }).click();
  await t.page.waitForTimeout(300);
  await t.page.screenshot({ path: `/tmp/shots/${n}-${colorScheme}-2.png` });
  console.log(t.problems, t.outside);
  await t.close();
}
await b.close(); await g.close();
