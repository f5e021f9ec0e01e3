(()=>{'use strict';
const root=document.documentElement,button=document.querySelector('.theme');
button.onclick=()=>{root.dataset.theme=getComputedStyle(root).colorScheme.includes('dark')?'light':'dark'};
const fixed=(v,d)=>v.toFixed(d).replace(/^-(?=0(\.0*)?$)/,'').replace('-','\u2212'),
time=s=>{const a=Math.round(Math.abs(s)*10)/10,h=Math.floor(a/3600),m=Math.floor(a/60)%60,u='\u202f',
r=(a%60).toFixed(1).replace(/\.0$/,'');
return(s<-.05?'\u2212':'')+(h?h+u+'h'+u+m+u+'min':m?m+u+'min'+u+r+u+'s':r+u+'s')};
// A path's points, read back from its own relative numbers; a null stands where it breaks.
const points=d=>{const out=[];for(const part of d.split('M').slice(1)){if(out.length)out.push(null);
let x=0,y=0;const n=part.match(/-?\d+/g).map(Number);
for(let i=0;i<n.length;i+=2){x+=n[i];y+=n[i+1];if(i!==2)out.push([x,y])}}return out};
document.querySelectorAll('.tl').forEach(group=>{
const plots=[...group.querySelectorAll('.plot')].map(p=>({area:p.querySelector('.area'),out:p.querySelector('output'),
t0:+p.dataset.t0,t1:+p.dataset.t1,y0:+p.dataset.y0,y1:+p.dataset.y1,d:+p.dataset.d,u:p.dataset.u,
traces:[...p.querySelectorAll('path[data-k]')].sort((a,b)=>a.dataset.o-b.dataset.o)
.map(e=>({name:e.dataset.k,step:1e4/(+e.dataset.c||1e9),by:!!e.dataset.c,at:points(e.getAttribute('d'))}))}));
if(!plots.length)return;
const first=plots[0],zero=+group.dataset.zero||0,share=t=>(t-first.t0)/(first.t1-first.t0),
events=(group.dataset.events||'').split(',').filter(Boolean).map(t=>share(+t)).filter(f=>f>=0&&f<=1);
let f=.5;
const value=(p,y)=>p.y0+(1-y/1e4)*(p.y1-p.y0),
// What a trace says at x: one value, the span of its column, or nothing in a gap.
say=(p,t)=>{const x=1e4*f;let near=-1,best=1e9;
t.at.forEach((q,i)=>{if(q&&Math.abs(q[0]-x)<best){best=Math.abs(q[0]-x);near=i}});
if(near<0)return t.name+' \u2013';
const q=t.at[near],side=t.at[near+(q[0]<x?1:-1)];
if(best>60&&side===null||best>200&&!side)return t.name+' \u2013';
if(t.by){const c=Math.floor(q[0]/t.step),v=t.at.filter(r=>r&&Math.floor(r[0]/t.step)===c).map(r=>value(p,r[1])),
a=fixed(Math.min(...v),p.d),b=fixed(Math.max(...v),p.d);return t.name+' '+(a===b?a:a+' to '+b)}
return t.name+' '+fixed(value(p,q[1]),p.d)},
show=()=>{group.classList.add('on');group.style.setProperty('--x',100*f+'%');
plots.forEach((p,i)=>{p.out.textContent=(i&&!zero?'':time(p.t0+f*(p.t1-p.t0)-zero)+'   ')
+p.traces.map(t=>say(p,t)).join('   ')+(p.u?'\u202f'+p.u:'')})},
hide=()=>{group.classList.remove('on');plots.forEach(p=>{p.out.textContent=''})},
keys={ArrowRight:s=>f+s,ArrowLeft:s=>f-s,Home:()=>0,End:()=>1,
n:()=>events.find(e=>e>f+1e-4),p:()=>events.filter(e=>e<f-1e-4).pop()};
plots.forEach(p=>{const move=e=>{const r=p.area.getBoundingClientRect();
f=Math.min(1,Math.max(0,(e.clientX-r.left)/r.width));show()};
p.area.addEventListener('pointermove',move);p.area.addEventListener('pointerdown',move)});
group.addEventListener('pointerleave',hide);
group.addEventListener('keydown',e=>{if(e.ctrlKey||e.altKey||e.metaKey)return;
if(e.key==='Escape'){hide();return}
const to=keys[e.key];if(!to)return;
e.preventDefault();const next=to(e.shiftKey?.05:.005);
if(next!==undefined)f=Math.min(1,Math.max(0,next));show()})})})();
