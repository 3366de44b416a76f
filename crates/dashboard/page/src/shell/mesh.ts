// The overview of the mesh, which the frame asks for and every page may read.
import { createContext } from "svelte";
import type { Overview } from "../api/types";
import type { Live } from "./live.svelte";

export const [mesh, set_mesh] = createContext<Live<Overview>>();
