/** testing-library on the DOM of dom.ts, with patience: under load its own second is short. */

import "./dom.js";
import { configure } from "@testing-library/react";

configure({ asyncUtilTimeout: 30_000 });

export * from "@testing-library/react";
