/** The player alone, in a page of its own that other sites may frame. It leads nowhere but to the watch page, in a new tab. */
import './styles/tokens.css';
import './styles/base.css';

import { mount } from 'svelte';

import Embed from './pages/Embed.svelte';
import { embedded } from './lib/routes';

const target = document.getElementById('app');
const id = embedded(location.pathname);
if (!target || !id) throw new Error('this page is served for the player of a broadcast only');
mount(Embed, { target, props: { id } });
